"""A simulated Moodle site to try the backend with, and to test it on."""
