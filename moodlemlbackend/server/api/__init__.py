"""Moodle's calls over HTTP."""
