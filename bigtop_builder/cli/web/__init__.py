"""The web server: pages of runs, components, packages, repositories and clusters, and what programs ask for.

Pages of runs are ``cli.views.html``; everything here reads what others recorded, and keeps nothing but caches.
"""
