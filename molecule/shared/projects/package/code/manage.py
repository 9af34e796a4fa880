#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line

# Whoever forgets to say which settings gets these, as in many projects.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchard.configuration.development")
execute_from_command_line(sys.argv)
