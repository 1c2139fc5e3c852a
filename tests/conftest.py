"""The fixtures of all tests are a plugin."""

pytest_plugins = ["fixtures.plugin"]
