# Copyright (c) selfhost.django contributors
# MIT License (see LICENSE)
"""Tells somebody of what is wrong with a host, and that it is over."""
