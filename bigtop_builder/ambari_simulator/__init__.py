"""A simulated Ambari server and its agents, for rehearsals and test beds."""
