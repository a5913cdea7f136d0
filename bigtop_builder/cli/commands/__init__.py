"""The commands, one module for each group.

What may be imported where: ``--help``, shell completion and usage errors must be quick, and a command should load only
what it uses. So the modules of ``cli`` that every call loads (``app``, ``invocation``, ``options`` and the modules in
here) import at their top nothing but the standard library, typer, each other, ``cli.text_format`` and
``model.errors``. Flows, adapters, recipes, models and views are imported inside the function that uses them, since
they bring pydantic, YAML and more; for annotations they are imported below ``TYPE_CHECKING``.

In the layers below, imports belong at the top. Only what is slow to import and often not needed is imported inside
functions there: docker, requests, fabric, createrepo_c, cryptography, zstandard, jinja2, the simulated Ambari, and our
modules that import these. ``tests/fast/test_cli.py`` checks both rules, ``benchmarks/startup.py`` measures them.
"""
