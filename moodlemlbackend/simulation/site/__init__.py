"""A whole Moodle site, simulated: its tables in a database, to analyse and to learn from.

::

    plan ──► course ──► behaviour ──► records ──► log ──► database
    site     one course's   who came,    rows of      log      bulk loading,
             structure      did what     activities   rows     all or nothing

``build`` leads from one to the next, course by course, so that memory holds one course and the list of users.
"""
