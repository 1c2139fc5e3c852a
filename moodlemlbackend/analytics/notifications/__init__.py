"""Telling people of insights: kept to be read, sent by e-mail, or posted to a webhook."""
