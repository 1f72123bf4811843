story of a tower that is heard again when the water has gone
# It raised the danger, so it has to be heard under the clear value before the all-clear. Its first reading alone ends
# nothing: the windows fill again, the timers run, then six hours of quiet.

day 2022-10-14
from 15:00 until 10-15 12:00
areas A
sensor tower street_depth in A every 60s, noise 0.004
operators nam, then lan

at 15:10 tower rises to 0.50 over 20min
at 15:27 nam approves flood in A
at 15:40 tower falls silent
at 17:00 tower reads 0.02
at 23:00 tower is heard again

expect between 15:20 and 15:26 worse warning flood in A
expect between 15:27 and 15:28 worse danger flood in A
expect between 10-15 05:10 and 10-15 05:40 over flood in A
and nothing else arrives
