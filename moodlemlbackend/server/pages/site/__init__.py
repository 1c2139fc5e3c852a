"""Pages of one Moodle site: for managers, its models; for teachers, the insights of their courses.

``routes`` are the addresses; a ``desk`` opens store and site for a request, in a thread, and finds out who asks;
``managers``, ``teachers`` and ``notifications`` say what a page shows; ``forms`` let in what was sent from a page of
ours only; ``runs`` are evaluations, trainings and predictions that were started from a page, each in a process of its
own (``work``).
All of it is imported only when the settings name a site.
"""
