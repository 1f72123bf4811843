story of water in a street while it pours
# The gauge of A says warning by itself after good readings over five minutes. From then on water in a street of A needs
# no second tower and no person: danger is published at once, and somebody is called to see it. The street is free long
# before the rain has eased; the all-clear waits for that.

day 2022-10-14
from 15:00 until 10-15 04:00
areas A
sensor gauge rain in A every 60s
sensor tower street_depth in A every 60s, noise 0.004
operators nam, then lan

at 15:00 gauge rains 72 mm/h
at 15:30 tower rises to 0.50 over 20min
at 15:46 nam approves rain in A
at 15:50 nam acknowledges flood in A
at 15:55 gauge rains 0 mm/h
at 16:10 tower falls to 0 over 30min

expect between 15:35 and 15:45 worse warning flood in A
expect between 15:40 and 15:50 worse danger flood in A
expect between 15:40 and 15:50 a call to nam to acknowledge danger flood in A
expect between 15:40 and 15:55 a call to nam to approve danger rain in A
expect between 15:46 and 15:47 worse danger rain in A
expect between 22:40 and 23:00 over flood in A
expect between 10-15 00:40 and 10-15 01:05 over rain in A
and nobody else is called
and nothing else arrives
