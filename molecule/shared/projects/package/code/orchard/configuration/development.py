raise RuntimeError("these are the settings of a developer")
