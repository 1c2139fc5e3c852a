"""Tables of the store: Moodle's ``analytics_*`` tables, with their columns and meaning, and a few of our own.

A time is in Unix seconds. Text in JSON says so in its comment. What a release has published changes by a migration only
(:mod:`moodlemlbackend.analytics.db.migrations`); a test holds both together.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import LONGTEXT

METADATA = MetaData()

LONG = Text().with_variant(LONGTEXT(), "mysql", "mariadb")
WHOLE = BigInteger().with_variant(Integer(), "sqlite")

CLASS_NAME = 255
ACTION_NAME = 255
MODEL_NAME = 1333


def _table(name: str, *columns: Column[object] | Index | UniqueConstraint) -> Table:
    key: Column[object] = Column("id", WHOLE, primary_key=True, autoincrement=True)
    return Table(name, METADATA, key, *columns, mysql_charset="utf8mb4", sqlite_autoincrement=True)


def _whole(name: str, *, null: bool = False, default: str | None = None) -> Column[object]:
    return Column(name, WHOLE, nullable=null, server_default=default)


def _class(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, String(CLASS_NAME), nullable=null)


# Moodle's tables.

MODELS = _table(
    "analytics_models",
    Column("enabled", Integer, nullable=False, server_default="0"),
    Column("trained", Integer, nullable=False, server_default="0"),
    Column("name", String(MODEL_NAME)),
    _class("target"),
    Column("indicators", LONG, nullable=False, comment="JSON: ids in the order of the columns"),
    _class("timesplitting", null=True),
    _class("predictionsprocessor", null=True),
    _whole("version"),
    Column("contextids", LONG, comment="JSON: the contexts that the model is limited to"),
    _whole("timecreated", null=True),
    _whole("timemodified"),
    _whole("usermodified"),
    Index("analytics_models_enabled", "enabled", "trained"),
)

MODELS_LOG = _table(
    "analytics_models_log",
    _whole("modelid"),
    _whole("version"),
    Column("evaluationmode", String(50), nullable=False),
    _class("target"),
    Column("indicators", LONG, nullable=False),
    _class("timesplitting", null=True),
    Column("score", Numeric(10, 5, asdecimal=False), nullable=False, server_default="0"),
    Column("info", LONG, comment="JSON: sentences"),
    Column("dir", LONG, nullable=False),
    _whole("timecreated"),
    _whole("usermodified"),
    Index("analytics_models_log_model", "modelid", "timecreated"),
)

PREDICTIONS = _table(
    "analytics_predictions",
    _whole("modelid"),
    _whole("contextid"),
    _whole("sampleid"),
    Column("rangeindex", Integer, nullable=False),
    Column("prediction", Numeric(10, 2, asdecimal=False), nullable=False),
    Column("predictionscore", Numeric(10, 5, asdecimal=False), nullable=False),
    Column("calculations", LONG, nullable=False, comment="JSON: value by column"),
    _whole("timecreated"),
    _whole("timestart", null=True),
    _whole("timeend", null=True),
    Index("analytics_predictions_model", "modelid", "contextid", "timecreated"),
    Index("analytics_predictions_context", "contextid"),
)

TRAIN_SAMPLES = _table(
    "analytics_train_samples",
    _whole("modelid"),
    _whole("analysableid"),
    _class("timesplitting"),
    Column("sampleids", LONG, nullable=False, comment='JSON: {"12":12}'),
    _whole("timecreated"),
    Index("analytics_train_samples_model", "modelid", "analysableid"),
)

PREDICT_SAMPLES = _table(
    "analytics_predict_samples",
    _whole("modelid"),
    _whole("analysableid"),
    _class("timesplitting"),
    Column("rangeindex", Integer, nullable=False),
    Column("sampleids", LONG, nullable=False, comment='JSON: {"12":12}'),
    _whole("timecreated"),
    _whole("timemodified"),
    Index("analytics_predict_samples_model", "modelid", "analysableid", "rangeindex"),
)

USED_FILES = _table(
    "analytics_used_files",
    _whole("modelid"),
    _whole("fileid"),
    Column("action", String(50), nullable=False),
    _whole("time"),
    Index("analytics_used_files_model", "modelid", "action", "fileid"),
)

USED_ANALYSABLES = _table(
    "analytics_used_analysables",
    _whole("modelid"),
    Column("action", String(50), nullable=False),
    _whole("analysableid"),
    _whole("firstanalysis"),
    _whole("timeanalysed"),
    UniqueConstraint("modelid", "action", "analysableid", name="analytics_used_analysables_key"),
)

INDICATOR_CALC = _table(
    "analytics_indicator_calc",
    _whole("starttime"),
    _whole("endtime"),
    _whole("contextid"),
    _class("sampleorigin"),
    _whole("sampleid"),
    _class("indicator"),
    Column("value", Numeric(10, 2, asdecimal=False)),
    _whole("timecreated"),
    Index("analytics_indicator_calc_range", "starttime", "endtime", "contextid"),
)

PREDICTION_ACTIONS = _table(
    "analytics_prediction_actions",
    _whole("predictionid"),
    _whole("userid"),
    Column("actionname", String(ACTION_NAME), nullable=False),
    _whole("timecreated"),
    Index("analytics_prediction_actions_user", "userid", "predictionid"),
    Index("analytics_prediction_actions_key", "predictionid", "userid", "actionname", mysql_length={"actionname": 64}),
)

# Ours.

FILES = _table(
    "analytics_files",
    _whole("modelid"),
    Column("area", String(20), nullable=False, comment="labelled, unlabelled or evaluation"),
    _class("timesplitting"),
    _whole("analysableid", null=True),  # null: of all analysables of a run, merged
    Column("path", String(255), nullable=False, comment="below the directory of the store's files"),
    Column("numrows", Integer, nullable=False),
    _whole("mergedinto", null=True),  # the file whose rows hold this file's
    Column("details", LONG, comment="JSON: contexts and ranges of the samples"),
    _whole("timecreated"),
    Index("analytics_files_model", "modelid", "area", "analysableid"),
)

EXPLANATIONS = _table(
    "analytics_explanations",
    _whole("predictionid"),
    Column("probability", Numeric(10, 5, asdecimal=False), nullable=False),  # of the predicted class, calibrated
    Column("reasons", LONG, nullable=False, comment="JSON: indicators, the one that counts most first"),
    Column("low", Numeric(10, 5, asdecimal=False)),  # of the probability in 8 of 10 courses
    Column("high", Numeric(10, 5, asdecimal=False)),
    UniqueConstraint("predictionid", name="analytics_explanations_key"),
)

_RANK = ("prediction", "predictionscore", "predictionid")

INSIGHTS = Table(
    "analytics_insights",  # of each sample the prediction in the last range: what lists need of it, and no more
    METADATA,
    Column("predictionid", WHOLE, primary_key=True, autoincrement=False),
    _whole("modelid"),
    _whole("contextid"),
    _whole("sampleid"),
    Column("rangeindex", Integer, nullable=False),
    Column("prediction", Double(), nullable=False),
    Column("predictionscore", Double(), nullable=False),
    Column("probability", Double()),
    UniqueConstraint("modelid", "contextid", "sampleid", name="analytics_insights_key"),
    Index("analytics_insights_rank", *_RANK, "modelid", "contextid", "sampleid"),
    Index("analytics_insights_rank_in_context", "contextid", *_RANK, "modelid", "sampleid"),
    Index("analytics_insights_rank_of_model", "contextid", "modelid", *_RANK, "sampleid", "probability"),
    mysql_charset="utf8mb4",
)

RISKS = _table(
    "analytics_risks",  # of every student who was predicted, flagged or not
    _whole("modelid"),
    _whole("contextid"),
    _whole("sampleid"),
    Column("rangeindex", Integer, nullable=False),
    Column("probability", Double(), nullable=False),  # of the class that is news, as Target.of_risk
    Column("low", Double()),  # of the probability in 8 of 10 courses
    Column("high", Double()),
    Column("threshold", Double(), nullable=False),  # from which on the model predicted this class
    _whole("timestart"),
    _whole("timeend"),
    _whole("timecreated"),
    Index("analytics_risks_context", "contextid", "modelid", "sampleid", "rangeindex"),
    Index("analytics_risks_model", "modelid"),
)

FEEDBACK = _table(
    "analytics_feedback",
    _whole("modelid"),
    _whole("predictionid"),
    _whole("sampleid"),
    Column("rangeindex", Integer, nullable=False),
    _whole("userid"),
    Column("prediction", Numeric(10, 2, asdecimal=False), nullable=False),
    Column("label", Numeric(10, 2, asdecimal=False), nullable=False),
    Column("weight", Integer, nullable=False),
    Column("calculations", LONG, nullable=False, comment="JSON: value by column"),
    _whole("timecreated"),
    _whole("timetrained", null=True),
    _whole("timereverted", null=True),
    Column("inforce", Integer),  # 1, or null once it has been taken back: then there can be several
    Index("analytics_feedback_key", "modelid", "sampleid", "rangeindex", "inforce", unique=True),
    Index("analytics_feedback_model", "modelid", "predictionid"),
)

NOTIFICATIONS = _table(
    "analytics_notifications",
    _whole("modelid"),
    _whole("predictionid", null=True),
    _whole("contextid"),
    _whole("useridto"),
    _whole("courseid"),
    Column("subject", LONG, nullable=False),
    Column("fullmessage", LONG, nullable=False),
    Column("fullmessagehtml", LONG, nullable=False),
    Column("contexturl", LONG, nullable=False),
    Column("data", LONG, nullable=False, comment="JSON: what a webhook is told"),
    _whole("timecreated"),
    _whole("timeread", null=True),
    Index("analytics_notifications_user", "useridto", "timeread"),
    Index("analytics_notifications_model", "modelid"),
)

DELIVERIES = _table(
    "analytics_deliveries",
    _whole("notificationid"),
    Column("channel", String(20), nullable=False),
    Column("address", LONG, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _whole("timenext"),  # when it is to be tried
    _whole("timesent", null=True),
    Column("error", LONG),
    _whole("mailid", null=True),  # the first delivery of those that go in one e-mail
    _whole("timemailed", null=True),  # when that e-mail was put together
    UniqueConstraint("notificationid", "channel", name="analytics_deliveries_key"),
    Index("analytics_deliveries_due", "timesent", "timenext"),
)

PREFERENCES = _table(
    "analytics_preferences",
    _whole("userid"),
    Column("channel", String(20), nullable=False),
    Column("enabled", Integer, nullable=False),
    UniqueConstraint("userid", "channel", name="analytics_preferences_key"),
)

FOLLOW_UPS = _table(
    "analytics_follow_ups",  # what teachers do about students, apart from what they say of predictions
    _whole("courseid"),
    _whole("studentid"),
    _whole("userid"),  # who did it
    Column("kind", String(20), nullable=False, comment="message, note, contacted, resolved, snoozed or reopened"),
    Column("text", LONG),
    _whole("until", null=True),  # of a student who is snoozed
    _whole("predictionid", null=True),  # the insight at that time, and the probability it had
    Column("probability", Double()),
    Column("batch", String(32), nullable=False, comment="the same for what was done at once, to be undone at once"),
    _whole("timecreated"),
    _whole("timeundone", null=True),
    Index("analytics_follow_ups_course", "courseid", "studentid"),
    Index("analytics_follow_ups_batch", "batch"),
)

MESSAGES = _table(
    "analytics_messages",  # to students, sent from here; what they say is kept with the follow-up
    _whole("followupid"),
    Column("channel", String(20), nullable=False, comment="moodle or email"),
    Column("address", LONG, nullable=False, comment="of an e-mail; empty once nothing is to be sent any more"),
    Column("replyto", LONG, nullable=False),
    Column("subject", LONG, nullable=False),
    Column("text", LONG, nullable=False, comment="as sent; empty once nothing is to be sent any more"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _whole("timenext"),  # when it is to be tried
    _whole("timebegun", null=True),  # while it is being sent, or was when its sender was killed
    _whole("timesent", null=True),
    Column("error", LONG),
    UniqueConstraint("followupid", name="analytics_messages_key"),
    Index("analytics_messages_due", "timesent", "timenext"),
)

TEMPLATES = _table(
    "analytics_templates",  # of messages to students
    _whole("courseid", null=True),  # null: of no course
    _whole("userid", null=True),  # null: of no person, but of all teachers of the course or the site
    Column("name", String(255), nullable=False),
    Column("subject", LONG, nullable=False),
    Column("text", LONG, nullable=False),
    _whole("timemodified"),
    _whole("usermodified"),
    Index("analytics_templates_place", "courseid", "userid"),
)

CHOICES = _table(
    "analytics_choices",  # what people have chosen for themselves
    _whole("userid"),
    Column("name", String(100), nullable=False),
    Column("value", LONG, nullable=False),
    UniqueConstraint("userid", "name", name="analytics_choices_key"),
)

RUNS = _table(
    "analytics_runs",
    Column("task", String(20), nullable=False),
    _whole("modelid", null=True),
    Column("status", Integer),
    Column("summary", LONG, comment="JSON"),
    _whole("timestarted"),
    _whole("timefinished", null=True),
    Index("analytics_runs_model", "modelid", "timestarted"),
)

FACTS = Table(
    "analytics_facts",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("value", LONG, nullable=False, comment="JSON"),
    mysql_charset="utf8mb4",
)
