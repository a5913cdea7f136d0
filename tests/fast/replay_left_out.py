"""Recorded exchanges that are played against the simulated server and not compared, each with the reason."""

ORDER = "hosts were assigned in an order of the moment"
OLD_TAG = "an old configuration was put in force by its tag: what counted as stale then was not understood"
DATABASE = "the recorded server met a fault of its own database"

MOMENT = "which tasks were over, or had begun, when one had failed or was asked for is a matter of tenths of a second"
LISTS = "features and packages of the stack, JSON inside a property, are the stack authors' text"

LEFT_OUT: dict[int, str] = {
    138: ORDER,
    **dict.fromkeys((279, 280), MOMENT),
    **dict.fromkeys((217, 218, 244), OLD_TAG),
    **dict.fromkeys((254, 255), DATABASE),
    356: LISTS,
}
STACK = "defaults and descriptions of Hadoop's services are the stack authors' text; the simulation carries a few"
ALERTS = "definitions and texts of the alerts of Hadoop's services are the stack authors' text"
FINAL = "which defaults are final is not in the stack data"
RANDOM = "the server chooses one of the hosts at random for a service check"
OWN_HOST = "the recorded server ran on one of its own cluster's hosts"

HADOOP_LEFT_OUT: dict[int, str] = {
    **dict.fromkeys((626, 627, 628, 629, 630, 631), STACK),
    641: ORDER,
    **dict.fromkeys((650, 655, 746, 769, 773), MOMENT),
    **dict.fromkeys((663, 676, 686, 708, 710, 767, 771, 775, 776), ALERTS),
    **dict.fromkeys((671, 673, 674, 675, 693), RANDOM),
    685: OWN_HOST,
    762: FINAL,
}
