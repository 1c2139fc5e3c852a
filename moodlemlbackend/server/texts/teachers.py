"""Insights and notifications: for teachers, and whoever else has them."""

from __future__ import annotations

ENGLISH = {
    # Insights: the list of courses.
    "insights": "Insights",
    "insights intro": (
        "Each entry is a prediction based on activity in Moodle so far. Take it as a reason to find out more, not as a "
        "fact about a person."
    ),
    "insights none": "There are no insights for you yet.",
    "insights none how": (
        "They appear here once an enabled model has made predictions in a course where you may see insights (the "
        "capability moodle/analytics:listinsights, which teachers normally have). Ask your administrator whether "
        "models are enabled on this site."
    ),
    "column place": "Course",
    "waiting": "{model}: {count}",
    "waiting none": "{model}: all dealt with",
    "more models": "and {count} other models",
    "more models one": "and one other model",
    # Insights of a course.
    "back to insights": "All courses",
    "back to place": "All insights: {place}",
    "other models": "Other models with insights here",
    "section number": "{count} insights, highest probability first.",
    "section number one": "One insight.",
    "section empty": "There is nothing to deal with here.",
    "section empty how": (
        "The model predicts again when the next part of the course is over. Insights you have dealt with are listed "
        "below."
    ),
    "with selected": "With selected:",
    "select": "Select {name}",
    "select all": "Select all on this page",
    "select none": "Select none",
    "write to selected": "Write to them",
    "probability": "Probability {percent}",
    "probability range": "({range})",
    "probability range means": (
        "Courses differ, and the model has not seen yours. In 8 out of 10 courses, if you take all the students with a "
        "prediction like this one, the share for whom it comes true is within the range in brackets."
    ),
    "probability none": "Rule-based alert, no probability",
    "probability label": "Probability",
    "range": "based on activity {days}",
    "range label": "Based on activity",
    "why": "Why",
    "why small": "No single fact stands out; many small ones add up.",
    "why exact": "Exactly how much each indicator counts",
    "why none": "There are no further reasons: a rule-based alert follows from its rule alone.",
    "reason": "{label}: {value}",
    "speaks for": "raises the risk",
    "speaks against": "lowers the risk",
    "more reasons": "Details and all reasons",
    "more about": "for {name}",
    "for name": "{name}",
    "dealt with number": "Dealt with ({count})",
    "pages": "Pages of {model}",
    "page of": "Page {page} of {pages}",
    "page before": "Previous page",
    "page after": "Next page",
    "notice hidden": "Saved. {count} insights are no longer in your list. Other people still see them.",
    "notice hidden one": "Saved. The insight is no longer in your list. Other people still see it.",
    "notice takeback": "Undone. {count} insights are in your list again.",
    "notice takeback one": "Undone. The insight is in your list again.",
    "what actions mean": "What the buttons do",
    "what reasons mean": "What the reasons mean",
    "means fixed": "You have seen the insight and are dealing with it.",
    "means notapplicable": "The insight may be true, but it doesn't matter here.",
    "means incorrectlyflagged": "The insight is wrong.",
    "means notuseful": "The insight is wrong or doesn't help.",
    "means useful": "The insight helped you.",
    "means adjusting": "The next training makes predictions like this one less likely, for everyone.",
    "means no change": "The model does not change.",
    "undo": "Undo",
    "confirm adjusting": "Mark {count} insights as not useful?",
    "confirm adjusting one": "Mark this insight as not useful?",
    "confirm adjusting means": (
        "This changes the model for everyone: the next training learns from your answer and makes predictions like "
        "this one less likely."
    ),
    "confirm adjusting once": "You can undo it afterwards. You are asked only the first time.",
    "confirm button adjusting": "Mark as not useful",
    "means hidden": "Each button removes the insight from your own list. You can undo that.",
    # What has been dealt with.
    "dealt with title": "Dealt with: {place}",
    "dealt with intro": "Only you see this list. When you undo an entry, it returns to your insights.",
    "dealt with none": (
        "You have not dealt with any insights here yet. Open one from the list and say what you think of it."
    ),
    "said": "{action}, {time}",
    "take back": "Undo",
    # One insight.
    "insight title": "{name}: {label}",
    "about course": "Course",
    "about model": "Model",
    "about time": "Predicted on",
    "links": "Find out more",
    "your opinion": "What do you think of it?",
    "why intro": (
        "These facts, as Moodle recorded them, count most for the model. They often go together with the risk, but "
        "need not be its cause."
    ),
    "why exact intro": (
        "Each bar shows how much an indicator raises the risk (to the right) or lowers it (to the left). All bars have "
        "the same scale. They show how the model weighs the indicators, not what causes the risk."
    ),
    "values mean": (
        "Numbers run from −1 (lowest) to 1 (highest). The course mean is the mean of all students in the course."
    ),
    "indicators": "All indicators",
    "column indicator": "Indicator",
    "column value": "Value",
    "indicators none": "No indicators were calculated for this prediction.",
    # A message to students.
    "message title": "Write to students",
    "message intro": (
        "The link opens your e-mail program with {count} addresses filled in. The students don't see each other's "
        "addresses."
    ),
    "message intro one": "The link opens your e-mail program.",
    "message open": "Open the e-mail program",
    "message to": "The message goes to:",
    # Notifications.
    "notifications": "Notifications",
    "notifications none": "You have no notifications.",
    "notifications none how": "You will get one when a model has new insights for you.",
    "notification text": "Text",
    "notification link": "Open",
    "unread": "new",
    "read all": "Mark all as read",
    "channels": "How you want to be notified",
    "channels mean": "Your choice applies at once, even to e-mails that have not been sent yet.",
    "channel kept": "on this page",
    "channel email": "by e-mail, to your address in Moodle",
    "channel webhook": "through the other system your site sends notifications to",
    "mails": "When you get e-mail",
    "mails zone": "Times are in your time zone, {zone}.",
    "mails how often": "How often",
    "mails as site": "as set for the site ({choice})",
    "mails mean": "A daily or weekly e-mail has everything that is new for you, course by course.",
    "mails off": "at once, one for each model and course",
    "mails daily": "once a day from {time}",
    "mails weekly": "once a week, on {day} from {time}",
    "quiet hours": "Hours without e-mail",
    "quiet none": "none",
    "quiet own": "the following hours",
    "quiet span": "{start} to {end}",
    "quiet start": "From",
    "quiet end": "To",
    "mails most": "You get at most {count} e-mails in 7 days. Anything new after that waits for the next e-mail.",
    "mails most one": "You get at most one e-mail in 7 days. Anything new after that waits for the next e-mail.",
    "mails next": "Your next e-mail: {time}, or up to an hour later, with {count} notifications.",
    "mails next one": "Your next e-mail: {time}, or up to an hour later, with one notification.",
    "waits": "in your next e-mail",
    "no such rhythm": "Choose from the list how often you want e-mail.",
    "bad quiet hours": "Give two different times for the hours without e-mail, such as 20:00 and 07:00.",
    "save": "Save",
    "notice read": "All notifications are marked as read.",
    "notice channels": "Your choice is saved.",
}
