"""Around every page, and what is refused."""

from __future__ import annotations

ENGLISH = {
    # Around every page.
    "skip": "Skip to the content",
    "navigation": "Pages",
    "nav models": "Models",
    "nav interface": "Interface",
    "nav insights": "Insights",
    "nav notifications": "Notifications",
    "nav analytics": "Models of the site",
    "footer": "Version {version} · times are in {zone}",
    # Logging in and out.
    "log in": "Log in",
    "log out": "Log out",
    "user name": "User name",
    "password": "Password",
    "log in with": (
        "Use the user name and password that this server's administrator gave you. The password may differ from yours "
        "in Moodle."
    ),
    "wrong login": "Wrong user name or password.",
    "too many logins": "There were too many failed logins. Wait a minute and try again.",
    "not encrypted": (
        "This connection is not encrypted, so others may read your password on its way. Ask the administrator of this "
        "server for an address that starts with https."
    ),
    "notice out": "You are logged out.",
    "notice lost": "You were logged out, so your changes were not saved. Log in and try again.",
    # Before something is done that cannot be taken back.
    "confirm goes": "This deletes for good:",
    "confirm cancel": "Cancel",
    # What is refused.
    "refused": "This cannot be shown or done",
    "not found": "There is nothing here",
    "to insights": "To your insights",
    "nobody": (
        "The Moodle site has no user of this name who may log in there, so there is nothing to see here; "
        "the administrator of this server gives a login the user name that the person has in Moodle."
    ),
    "no manager": (
        "Managing models needs the capability moodle/analytics:managemodels in Moodle, which your roles do not give."
    ),
    "no insights there": "There are no insights for you in this place.",
    "no insight": "There is no such insight for you.",
    "no model": "There is no model {id}.",
    "no evaluation": "There is no such evaluation of this model.",
    "no such file": "There is no such file; the evaluation may have been cleared away.",
    "site lost": "The Moodle site or the store of models cannot be reached now; try again in a minute.",
    "too much": "There is too much to do at the moment; try again in a minute.",
    "bad id": "An id in the form is no number; go back and load the page again.",
    "no form": "What was sent is not a form of these pages.",
    "form too large": "The form is too large; select fewer entries.",
    "form stopped": "The form did not arrive as a whole; send it again.",
    "from elsewhere": "The form was not sent from a page of this server, so nothing was done.",
    "stale form": "The form is out of date, so nothing was done; go back, load the page again and repeat.",
    "nothing selected": "Nothing was selected; go back and check the box of at least one entry.",
    "too many selected": "Too many were selected; at most {count} at a time.",
    "several contexts": "What was selected belongs to different courses; do it one course at a time.",
    "no addresses": "None of those who were selected has an e-mail address in Moodle.",
    "bad interval": "This interval or mode cannot be used with the model; load the page again and choose another.",
    # Places.
    "yourself": "About yourself",
    "person": "Person {id}",
    "whole site": "The whole site",
}
