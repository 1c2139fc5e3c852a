"""Insights: predictions that people are told of, who they are, what they are told, and what they can do."""
