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
    "nav analytics": "The site's models",
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
        "This connection is not encrypted, so others may be able to read your password. Ask the administrator of this "
        "server for an address that starts with https."
    ),
    "notice out": "You are logged out.",
    "notice lost": "You were logged out, so your changes were not saved. Log in and try again.",
    # Coming from a course in Moodle.
    "window title": "Open this page in a new window",
    "window why": (
        "Your browser blocks the cookie that this page needs when it is shown inside Moodle. The page works in a "
        "separate window, as long as your browser allows cookies from this server."
    ),
    "window open": "Open in a new window",
    "launch over": "You are no longer signed in",
    "launch again": "To continue, open the activity in your Moodle course again.",
    "launch lost": "Your changes were not saved. To continue, open the activity in your Moodle course again.",
    "launch stale": (
        "This sign-in has already been used, has expired, or was started in another browser. Open the activity in your "
        "Moodle course again."
    ),
    "launch incomplete": "Moodle's request is incomplete. Open the activity in your Moodle course again.",
    "launch denied": "Moodle did not sign you in. Log in to Moodle, then open the activity in your course again.",
    "launch untrusted": (
        "The sign-in from Moodle could not be verified. Ask the administrator of this server to look up the reason in "
        "the log."
    ),
    "launch unregistered": (
        "This external tool from Moodle is not registered on this server. Ask the administrator of this server to "
        "compare the lti setting with the tool's details in Moodle."
    ),
    "launch elsewhere": "The tool URL in Moodle is wrong. Ask your Moodle administrator to enter {address}.",
    "launch plain": (
        "Signing in from Moodle needs an address that starts with https. Ask the administrator of this server to check "
        "the proxy and the proxies setting."
    ),
    "launch keys": "This server can't get Moodle's keys to verify the sign-in. Try again in a minute.",
    # Before something is done that cannot be taken back.
    "confirm goes": "This permanently deletes:",
    "confirm cancel": "Cancel",
    # What is refused.
    "refused": "You don't have access to this page",
    "failed": "That didn't work",
    "not found": "Page not found",
    "to insights": "Go to your insights",
    "nobody": (
        "No active Moodle user has this user name, so there is nothing to show. Ask the administrator of this server "
        "to give you a login with your Moodle user name."
    ),
    "nobody launched": (
        "Your Moodle user is not active on the site that this server analyses, so there is nothing to show. Ask your "
        "Moodle administrator."
    ),
    "no manager": (
        "To manage models, you need the moodle/analytics:managemodels capability in Moodle, but none of your roles "
        "includes it."
    ),
    "no insights there": "There are no insights for you here.",
    "no insight": "This insight doesn't exist, or you don't have access to it.",
    "no model": "There is no model {id}.",
    "no evaluation": "This evaluation doesn't exist.",
    "no such file": "This file doesn't exist. The evaluation may have been deleted.",
    "site lost": "The server can't reach the Moodle site or its own store. Try again in a minute.",
    "too much": "The server is busy. Try again in a minute.",
    "bad id": "The form contains an id that is not a number. Go back, reload the page and try again.",
    "no form": "The request was not sent from one of this server's forms.",
    "form too large": "The form is too large. Select fewer entries.",
    "form stopped": "The form arrived incomplete. Send it again.",
    "from elsewhere": "The form was not sent from a page of this server, so nothing was changed.",
    "stale form": "The form has expired, so nothing was changed. Go back, reload the page and try again.",
    "nothing selected": "Nothing is selected. Go back and tick at least one entry.",
    "too many selected": "Too many entries are selected. Select at most {count} at a time.",
    "several contexts": "The selected entries belong to different courses. Select entries from one course at a time.",
    "no addresses": "None of the selected students has an e-mail address in Moodle.",
    "bad interval": "The model can't use this interval or mode. Reload the page and choose another.",
    # Places.
    "yourself": "About you",
    "person": "User {id}",
    "whole site": "The whole site",
    "category": "Category {name}",
}
