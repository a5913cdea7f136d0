"""Views: what people and programs see of a run, a plan or a cluster.

A view of a run gets each event together with the run's state (``flow.run.state``) and keeps no state of its own. A new
view is one module here, and one line in ``watch`` that says where it is used.
"""
