"""HTTP: Moodle's server mode, one machine that works for many sites, and pages for people.

::

    request ─► middleware (id, log, metrics) ─► auth ─► admission ─► upload to a scratch folder
                                                                         │
    answer  ◄── result or one sentence ◄── worker process ◄── queue ◄────┘

The event loop only moves bytes. Trainings and evaluations run in worker processes that keep their libraries loaded,
everything else in workers that never load them; a worker that crashes, hangs or is no longer wanted is killed and
replaced. Nothing here is imported before ``moodlemlbackend serve``.
"""
