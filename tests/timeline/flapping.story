story of water on the edge for six hours
# A street and a river cross their threshold of a warning every two minutes. At most one first and one end each.

day 2022-10-14
from 12:00 until 22:00
areas A B
sensor tower street_depth in A every 60s
sensor river water_level in B every 60s, station cam_le, reference

at 12:00 river reads 1.9
at 13:00 tower swings between 0.17 and 0.25, 2min each
at 13:00 river swings between 1.96 and 2.04, 2min each
at 19:00 tower falls to 0 over 5min
at 19:00 river falls to 0.5 over 30min

expect between 13:00 and 13:20 worse warning flood in A
expect between 13:00 and 13:10 worse warning flood in B
expect between 19:20 and 20:00 over flood in A
expect between 19:30 and 20:50 over flood in B
and nobody else is called
and nothing else arrives
