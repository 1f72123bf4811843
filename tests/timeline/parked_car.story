story of a car parked under a tower that stands alone
# From one minute to the next 60 cm, and not a millimetre more or less: after ten minutes that is suspect. Good readings of
# the first five minutes were enough for a warning that says that one station alone says so. Nobody answers the calls; but
# when their time is over the readings are no longer good, and danger is not published.

day 2022-10-14
from 15:00 until 19:00
areas A
sensor tower street_depth in A every 60s
operators nam, then lan

at 15:00 tower reads 0.01
at 15:10 tower reads 0.60
at 16:00 tower reads 0.01

expect between 15:14 and 15:20 first warning flood in A
expect between 15:10 and 15:20 a call to nam to approve danger flood in A
expect between 15:20 and 15:30 a call to lan to approve danger flood in A
expect between 16:35 and 17:05 over flood in A
and nothing else arrives
