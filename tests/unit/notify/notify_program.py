"""The program as a host has it: beside it the status page's look and judgement, as a package of its own."""

import importlib
import pathlib
import sys

UTILITIES = "ansible_collections.selfhost.django.plugins.module_utils"

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "roles/notify/files"))
sys.modules["site_status"] = importlib.import_module(UTILITIES)
for name in ("commands", "paths", "site_look", "site_report"):
    sys.modules[f"site_status.{name}"] = importlib.import_module(f"{UTILITIES}.{name}")

advice, looking, sending, spool, telling, wording = (
    importlib.import_module(f"selfhost_notify.{name}") for name in ("advice", "looking", "sending", "spool", "telling", "wording")
)
