"""Every text of the pages that is English, in one place for translation; templates have none of their own.

:func:`say` gives a text by its name. A text that counts has a second form, named with ``one`` at its end, for one. The
oldest pages, of the models of server mode and of the interface, have their text in their templates still; what insights
and models are called is in :mod:`moodlemlbackend.analytics.insights.texts`.
"""

from __future__ import annotations

import re

_INTERVAL = "\\core\\analytics\\time_splitting\\"
_OF_MODULE = re.compile(r"\\mod_(\w+)\\analytics\\indicator\\(cognitive_depth|social_breadth)", re.ASCII)

ENGLISH = {
    "language": "en",
    # Around every page.
    "skip": "Skip to the content",
    "navigation": "Pages",
    "nav models": "Models",
    "nav interface": "Interface",
    "nav insights": "Insights",
    "nav notifications": "Notifications",
    "nav analytics": "Models of the site",
    "footer": "Version {version} · times are in {zone}",
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
    "not sure": "Nothing was cleared; check the box that says that you are sure.",
    "bad interval": "This interval or mode cannot be used with the model; load the page again and choose another.",
    # Places.
    "yourself": "About yourself",
    "person": "Person {id}",
    "whole site": "The whole site",
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
    "probability": "Probability {percent} %",
    "percent": "{percent} %",
    "probability none": "By assumption, without a probability",
    "probability label": "Probability",
    "range": "rests on {span}",
    "range label": "Rests on",
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
    "means fixed": "you have seen it, and do what is needed; the model stays as it is.",
    "means notapplicable": "it may be true, but means nothing here; the model stays as it is.",
    "means incorrectlyflagged": "it is wrong; the next training of the model makes such a prediction less likely.",
    "means notuseful": "it is wrong or of no use; the next training of the model makes such a prediction less likely.",
    "means useful": "it helped you; the model stays as it is.",
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
    # Models.
    "models": "Models of the site",
    "models intro": "What Moodle's analytics predicts on this site. Choose a model to evaluate, train or enable it.",
    "models none": "There is no model.",
    "models none how": "Make the core models again with: moodlemlbackend models restore",
    "column model": "Model",
    "column state": "State",
    "column interval": "Analysis interval",
    "column evaluation": "Last evaluation",
    "column predictions": "Predictions",
    "state enabled": "enabled",
    "state disabled": "disabled",
    "state trained": "trained",
    "state untrained": "not trained yet",
    "state static": "by assumption",
    "no interval": "none chosen",
    "never": "never",
    "score at": "{score} on {time}",
    "no evaluation needed": "needs none",
    # One model.
    "back to models": "All models",
    "back to model": "The model",
    "model facts": "Settings",
    "fact state": "State",
    "fact interval": "Analysis interval",
    "fact processor": "Processor",
    "fact contexts": "Limited to",
    "fact version": "Version of",
    "fact predictions": "Predictions",
    "fact indicators": "Indicators ({count})",
    "processor of the site": "that of the site's settings",
    "everywhere": "nothing, the whole site",
    "editing": "Other indicators, processors or contexts are chosen with: moodlemlbackend models edit {id}",
    "do": "What you can do",
    "enable": "Enable",
    "enable again": "Use another interval",
    "enable label": "Analysis interval",
    "enable means": "With another interval the model begins anew: its predictions and what it has learned are deleted.",
    "disable": "Disable",
    "disable means": "A model that is disabled neither trains nor predicts, and its insights are hidden.",
    "evaluate": "Evaluate",
    "evaluate means": (
        "How well the model would have predicted in finished courses. It takes minutes on a large site, and changes "
        "nothing."
    ),
    "evaluate interval": "Interval to be tried",
    "evaluate all": "all that are enabled for evaluation",
    "evaluate mode": "What is judged",
    "mode configuration": "what can be learned",
    "mode trainedmodel": "what has been learned",
    "train": "Train",
    "train means": "The model learns from courses that have finished since the last time.",
    "predict": "Predict",
    "predict means": "The model predicts what is new, and those who may see it are told.",
    "clear": "Clear",
    "clear means": "All predictions and all that was learned are deleted; the log of evaluations stays.",
    "clear sure": "I am sure",
    "needs enabled": "Enable the model first, with an analysis interval.",
    "needs training": "Train the model first.",
    "static means": "The model rests on assumptions: there is nothing to evaluate or to train.",
    "evaluations": "Evaluations",
    "evaluations none": "The model has not been evaluated. Do so above before you enable it.",
    "evaluations more": "All evaluations and runs",
    "column time": "Time",
    "column mode": "Judged",
    "column score": "Score",
    "column notes": "Notes",
    "column task": "Task",
    "column result": "Result",
    "good enough": "good enough",
    "too low": "below {minimum}",
    "scores over time": "Scores over time, {interval}",
    "scores chart": "Scores of the evaluations with the interval {interval}, the oldest on the left: {scores}",
    "scores note": "The dashed line is the score from which a model is taken to be good enough.",
    "runs": "Last runs",
    "runs none": "The model has not been run yet.",
    "also": "More about the model",
    "to predictions": "Its predictions by course",
    "to invalid": "What it cannot use, and why",
    "to log": "Its log",
    "notice enable": "The model is enabled.",
    "notice disable": "The model is disabled.",
    "notice clear": "The model is cleared.",
    "notice stop": "The run is being stopped.",
    # Runs.
    "run title": "{task}: {model}",
    "task evaluate": "Evaluation",
    "task train": "Training",
    "task predict": "Prediction",
    "run last": "{task}, begun {time}: {state}.",
    "run look": "Look at the run",
    "state waiting": "waits for another run to end",
    "state running": "is at work",
    "state stopping": "is being stopped",
    "state done": "done",
    "state failed": "failed",
    "state stopped": "stopped",
    "state unfinished": "not finished",
    "run began": "Begun",
    "run took": "Took",
    "run seconds": "{seconds} s",
    "run state": "State",
    "run progress": "{analysed} of {total} analysed",
    "run element": "Last: {name}",
    "run learning": "Everything has been analysed; the processor is at work now.",
    "run refreshes": "This page loads itself again every few seconds.",
    "run refresh off": "Stop that",
    "run refresh on": "Load this page again by itself",
    "run refresh now": "Load it again now",
    "run stop": "Stop the run",
    "run there": "A run of this model is under way; wait for its end, or stop it.",
    "run ended": "The run ended without a result; the administrator finds more in the log of the server.",
    "run fault": "An unexpected error ended the run; the administrator finds more in the log of the server.",
    "run stopped": "The run was stopped; what was complete stays, the rest is as before.",
    "run too long": "The run was stopped because it took longer than {seconds} s; see the setting time_limit.",
    "run score": "{interval}: {score}",
    "figures": "Counted",
    "counted analysables": "{count} courses or other elements that were new",
    "counted analysables one": "one course or other element that was new",
    "counted samples": "{count} samples",
    "counted samples one": "one sample",
    "counted rows": "{count} rows",
    "counted rows one": "one row",
    "counted predictions": "{count} predictions",
    "counted predictions one": "one prediction",
    "counted notifications": "{count} notifications",
    "counted notifications one": "one notification",
    "counted reused": "{count} courses used again from the last week",
    "counted reused one": "one course used again from the last week",
    "counted marks": "{count} predictions marked as not useful",
    "counted marks one": "one prediction marked as not useful",
    "server folder": "the folder of the server",
    # Predictions by course.
    "predictions title": "Predictions: {model}",
    "predictions none": "The model has not predicted anything worth telling.",
    "predictions none how": "It predicts when it is enabled and trained; do both on its page.",
    "column number": "Predictions",
    "column last": "Last one",
    # Invalid elements.
    "invalid title": "What cannot be used: {model}",
    "invalid intro": "These can neither be learned from nor predicted. Mend what the reasons say, in Moodle.",
    "invalid intro static": "Nothing is predicted of these. Mend what the reasons say, in Moodle.",
    "invalid none": "Everything on the site can be used.",
    "column name": "Name",
    "column training": "Not for training",
    "column prediction": "Not for prediction",
    # Log.
    "log title": "Log: {model}",
    "marks": "Predictions marked as not useful",
    "marks none": "No prediction of this model has been marked as not useful.",
    "column prediction id": "Prediction",
    "column weight": "Counts as",
    "column trained": "Learned",
    "column reverted": "Taken back",
    "weight": "{count} samples",
    "weight one": "one sample",
    # One evaluation.
    "evaluation title": "Evaluation of {time}: {model}",
    "report": "The whole report",
    "figures none": "This evaluation left no figures, or they have been cleared away.",
    "figure of": "{name} of the evaluation of {time}",
    # Indicators.
    "indicator \\core\\analytics\\indicator\\any_access_after_end": "came back after the end",
    "indicator \\core\\analytics\\indicator\\any_access_before_start": "looked in before the start",
    "indicator \\core\\analytics\\indicator\\any_course_access": "visited the course",
    "indicator \\core\\analytics\\indicator\\any_write_action": "wrote or handed in anything on the site",
    "indicator \\core\\analytics\\indicator\\any_write_action_in_course": "wrote or handed in anything in the course",
    "indicator \\core\\analytics\\indicator\\read_actions": "amount of reading in the course",
    "indicator \\core_course\\analytics\\indicator\\activities_due": "activities are due",
    "indicator \\core_course\\analytics\\indicator\\completion_enabled": "the course tracks completion",
    "indicator \\core_course\\analytics\\indicator\\no_student": "the course has students",
    "indicator \\core_course\\analytics\\indicator\\no_teacher": "the course has teachers",
    "indicator \\core_course\\analytics\\indicator\\potential_cognitive_depth": "work that the course offers",
    "indicator \\core_course\\analytics\\indicator\\potential_social_breadth": "exchange that the course offers",
    "indicator \\core_user\\analytics\\indicator\\user_profile_set": "filled in the own profile",
    "indicator \\core_user\\analytics\\indicator\\user_track_forums": "has unread forum posts marked",
    "indicator cognitive_depth": "work on {module}",
    "indicator social_breadth": "exchange with others in {module}",
    "module assign": "assignments",
    "module bigbluebuttonbn": "video conferences",
    "module book": "books",
    "module chat": "chats",
    "module choice": "choices",
    "module data": "databases",
    "module feedback": "feedback forms",
    "module folder": "folders",
    "module forum": "forums",
    "module glossary": "glossaries",
    "module imscp": "IMS packages",
    "module label": "labels",
    "module lesson": "lessons",
    "module lti": "external tools",
    "module page": "pages",
    "module quiz": "quizzes",
    "module resource": "files",
    "module scorm": "SCORM packages",
    "module survey": "surveys",
    "module url": "links",
    "module wiki": "wikis",
    "module workshop": "workshops",
    # Analysis intervals.
    f"interval {_INTERVAL}single_range": "from the start of the course to its end",
    f"interval {_INTERVAL}no_splitting": "all that there is, at any time",
    f"interval {_INTERVAL}quarters": "quarters of the course",
    f"interval {_INTERVAL}quarters_accum": "quarters of the course, each with those before",
    f"interval {_INTERVAL}deciles": "tenths of the course",
    f"interval {_INTERVAL}deciles_accum": "tenths of the course, each with those before",
    f"interval {_INTERVAL}one_week_after_start": "one week after the start",
    f"interval {_INTERVAL}one_month_after_start": "one month after the start",
    f"interval {_INTERVAL}ten_percent_after_start": "a tenth of the course after the start",
    f"interval {_INTERVAL}past_3_days": "the past 3 days",
    f"interval {_INTERVAL}past_week": "the past week",
    f"interval {_INTERVAL}past_month": "the past month",
    f"interval {_INTERVAL}upcoming_3_days": "the next 3 days",
    f"interval {_INTERVAL}upcoming_week": "the next week",
    f"interval {_INTERVAL}upcoming_fortnight": "the next fortnight",
}


def say(name: str, /, **values: object) -> str:
    """Return a text with the values filled in; that for one when ``count`` is 1 and there is one."""
    text = ENGLISH.get(f"{name} one") if values.get("count") == 1 else None
    return (text or ENGLISH[name]).format(**values)


def counted(figures: dict[str, int]) -> str:
    """What a run has counted, in words; what there is no word for is named as it is."""
    told = ((f"counted {name}", name, number) for name, number in figures.items())
    return ", ".join(say(text, count=number) if text in ENGLISH else f"{number} {name}" for text, name, number in told)


def interval_name(interval: str | None) -> str:
    """What people call an analysis interval: the end of its id when there is no text."""
    if not interval:
        return say("no interval")
    return ENGLISH.get(f"interval {interval}") or interval.rpartition("\\")[2].replace("_", " ")


def indicator_name(indicator: str, label: str = "") -> str:
    """What people call an indicator, given its id and what it is called when there is no text."""
    found = _OF_MODULE.fullmatch(indicator)
    if found and f"module {found[1]}" in ENGLISH:
        return say(f"indicator {found[2]}", module=say(f"module {found[1]}"))
    return ENGLISH.get(f"indicator {indicator}") or label or indicator
