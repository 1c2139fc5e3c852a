"""Moodle's learning analytics: from a site's database to samples, features and data sets.

``site`` reads a Moodle site; ``analysables`` are its courses, itself and its users; ``analysers`` find their samples;
``time_splitting``, ``indicators`` and ``targets`` are what a model is made of, each open to code of one's own by way of
``registry``; ``analysis`` runs them and ``datasets`` writes what comes of it.

``models`` are kept in a ``store``; ``lifecycle`` evaluates and trains them and has them predict, ``insights`` are what
people are told of it and ``notifications`` how. All of them work in a ``workspace``.
"""
