"""Pages of one Moodle site: for managers, its models; for teachers, the insights of their courses.

``routes`` are the addresses; a ``request_context`` has store and site open for a request, in a thread, and knows who
asks; ``managers``, ``teachers`` and ``notifications`` say what a page shows; ``forms`` let in only what was sent from
a page of ours. Evaluations, backtests, trainings and predictions that a page starts are
:mod:`moodlemlbackend.server.jobs.page_runs`. All of it is imported only when the settings name a site.
"""
