"""LTI 1.3: Moodle's users come here from a course of the site, signed in by a message of Moodle.

Only the launch of a resource is known. Nothing is sent to Moodle, so the tool signs nothing and has no keys.
"""
