"""Insights and notifications: for teachers, and whoever else has them."""

from __future__ import annotations

ENGLISH = {
    # Insights: the list of courses.
    "insights": "Insights",
    "insights intro": (
        "Each entry is a prediction from what has happened in Moodle so far. It is a reason to look and to ask, "
        "not a finding about anybody."
    ),
    "insights none": "There are no insights for you yet.",
    "insights none how": (
        "They appear here when a model that is enabled has predicted in a course in which Moodle lets you see insights "
        "(the capability moodle/analytics:listinsights; teachers have it unless your site says otherwise). "
        "Ask your administrator whether the models of the site are enabled."
    ),
    "column place": "Course",
    "waiting": "{model}: {count}",
    "waiting none": "{model}: all dealt with",
    "more models": "and {count} other models",
    "more models one": "and one other model",
    # Insights of a course.
    "back to insights": "All courses",
    "back to place": "All insights of {place}",
    "other models": "Other models with insights here",
    "section number": "{count} insights, the highest probability first.",
    "section number one": "One insight.",
    "section empty": "Nothing waits for you here.",
    "section empty how": (
        "The model predicts again when the next part of the course is over; what you have dealt with is listed below."
    ),
    "with selected": "With those that are selected:",
    "select": "Select {name}",
    "select all": "Select all on this page",
    "select none": "Select none",
    "write to selected": "Write to them",
    "probability": "Probability {percent}",
    "probability range": "({range})",
    "probability range means": (
        "Whole courses differ, and the model has not seen yours: in 8 of 10 courses, the prediction comes true for a "
        "share of such students that lies in the range in brackets."
    ),
    "probability none": "By assumption, without a probability",
    "probability label": "Probability",
    "range": "based on activity {days}",
    "range label": "Based on activity",
    "why": "Why",
    "why none": (
        "The model says no more than that; a model by assumption follows from its rule and from nothing else."
    ),
    "reason": "{label}: {value}",
    "speaks for": "speaks for it",
    "speaks against": "speaks against it",
    "more reasons": "Details and all reasons",
    "more about": "of {name}",
    "for name": "{name}",
    "dealt with number": "What you have dealt with ({count})",
    "pages": "Pages of {model}",
    "page of": "Page {page} of {pages}",
    "page before": "Page before",
    "page after": "Next page",
    "notice hidden": "Recorded. {count} insights are no longer in your list; others see them as before.",
    "notice hidden one": "Recorded. The insight is no longer in your list; others see it as before.",
    "notice takeback": "Taken back. {count} insights are in your list again.",
    "notice takeback one": "Taken back. The insight is in your list again.",
    "what actions mean": "What the buttons do",
    "what bars mean": "What the bars say",
    "means fixed": "You have seen it and are dealing with it.",
    "means notapplicable": "It may be true, but it does not matter here.",
    "means incorrectlyflagged": "It is wrong.",
    "means notuseful": "It is wrong, or no help.",
    "means useful": "It helped you.",
    "means adjusting": "The next training makes such predictions less likely, for everybody.",
    "means no change": "The model stays as it is.",
    "undo": "Undo",
    "confirm adjusting": "Mark {count} insights as not useful?",
    "confirm adjusting one": "Mark this insight as not useful?",
    "confirm adjusting means": (
        "This changes the model for everybody: the next training learns from it and makes such predictions less likely."
    ),
    "confirm adjusting once": "You can undo it afterwards. We ask only the first time.",
    "confirm button adjusting": "Mark as not useful",
    "means hidden": "Each of them takes the insight out of your own list, and you can take it back.",
    # What has been dealt with.
    "dealt with title": "Dealt with: {place}",
    "dealt with intro": "Only you see this list. What you take back is in the list of insights again.",
    "dealt with none": "You have not dealt with any insight here. Choose one in the list and say what you think of it.",
    "said": "{action}, {time}",
    "take back": "Take back",
    # One insight.
    "insight title": "{name}: {label}",
    "about course": "Course",
    "about model": "Model",
    "about time": "Predicted on",
    "links": "Look further",
    "your opinion": "What do you think of it?",
    "why intro": (
        "Each bar says how much an indicator speaks for the prediction (to the right) or against it (to the left), "
        "all on one scale. It is what the model makes of it, not a cause."
    ),
    "values mean": (
        "Values that are numbers run from −1, the least that is possible, to 1, the most. The course mean is that of "
        "all students of the course."
    ),
    "indicators": "Everything that was calculated",
    "column indicator": "Indicator",
    "column value": "Value",
    "indicators none": "Nothing was calculated for this prediction.",
    # A message to students.
    "message title": "Write to students",
    "message intro": "The link opens your mail program with {count} addresses; they do not see each other.",
    "message intro one": "The link opens your mail program.",
    "message open": "Open the mail program",
    "message to": "The message goes to:",
    # Notifications.
    "notifications": "Notifications",
    "notifications none": "You have not been told of anything.",
    "notifications none how": "A notification is kept here when a model predicts something that you may see.",
    "notification text": "What it says",
    "notification link": "Open it",
    "unread": "new",
    "read all": "I have read all of these",
    "channels": "How you want to be told",
    "channels mean": "What you choose here counts from the next notification on.",
    "channel kept": "kept on this page",
    "channel email": "by e-mail, to your address in Moodle",
    "channel webhook": "through the other system that your site sends notifications to",
    "save": "Save",
    "notice read": "All of these are marked as read.",
    "notice channels": "Your choice is saved.",
}
