"""Pages of a run: the same for the web server and for a report in one file.

``RunPage`` shows a ``flow.run.state.RunState``; the templates beside it turn it into HTML. Everything in them is
escaped; nothing in a page is markup but the templates' own.
"""
