"""Pages for people: the models of server mode, and those of a Moodle site."""
