story of a tower that lies in real rain
# A night of measured rain (Amsterdam, 29 July 2017, up to 29 mm in an hour) on a street with two towers 300 m apart. One
# of them has one of seven faults from midnight on (tests/test_stories.py adds each alone); the other sees a wet street.
# Nobody bears the liar out: residents hear nothing.

day 2017-07-29
from 21:00 until 07-30 07:00
areas A
sensor liar street_depth in A every 60s, noise 0.004
sensor honest street_depth in A every 60s, noise 0.004, 300 m away
sensor gauge rain in A every 5min
operators nam, then lan

at 21:00 liar reads 0.02
at 21:00 honest reads 0.02
at 21:00 gauge follows amsterdam
and nothing else arrives
