"""Backups of PostgreSQL and the proof that they restore: what /usr/local/sbin/postgresql-backup runs."""
