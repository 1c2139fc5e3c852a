"""Models left by the reference package 3.0.5: read as data, so that a site upgrades without training again.

``folder`` reads the two files of such a model, ``pickled`` and ``tensorbundle`` their formats (``checksum`` guards the
second one), ``network`` is the result. Nothing is unpickled, no graph is run and TensorFlow is not needed.
"""

from moodlemlbackend.reference.folder import is_reference_model, read_reference_model
from moodlemlbackend.reference.network import ReferenceNetwork

__all__ = ["ReferenceNetwork", "is_reference_model", "read_reference_model"]
