"""Moodle's learning analytics: from a site to data sets, models, predictions and insights."""
