story of a flash flood where one tower stands alone
# A street drains badly: dry at 15:10, half a metre at 15:30. The tower beside it died long ago: it
# neither confirms nor contradicts. Good readings over five minutes
# are enough for a warning, not for more: danger waits for a person. The advisory of 15:20 is below residents' floor.

day 2022-10-14
from 15:00 until 10-15 02:00
areas A B
sensor tower street_depth in A every 60s, noise 0.004
sensor dead street_depth in A every 60s, 300 m away
sensor elsewhere street_depth in B every 60s, noise 0.004
operators nam, then lan

at 15:00 dead falls silent
at 15:10 tower rises to 0.50 over 20min
at 15:27 nam approves flood in A
at 16:00 tower falls to 0.00 over 60min

expect between 15:20 and 15:26 worse warning flood in A
expect between 15:20 and 15:25 a call to nam to approve danger flood in A
expect between 15:27 and 15:28 worse danger flood in A
expect between 22:50 and 23:30 over flood in A
and nobody else is called
and nothing else arrives
