#!/usr/bin/env python
import sys

from django.core.management import execute_from_command_line

# No fallback for DJANGO_SETTINGS_MODULE: whoever runs a command says it.
execute_from_command_line(sys.argv)
