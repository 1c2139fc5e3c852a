"""Simulators to try the backend with, and to test it on: of courses' data sets, and of a whole Moodle site."""
