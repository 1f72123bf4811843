story of a tower that falls silent in the worst moment
# What nobody measures has not ended. The incident stays open through the night, residents hear nothing of the silence,
# and a person who has been there says that it is over.

day 2022-10-14
from 15:00 until 10-15 12:00
areas A B
sensor tower street_depth in A every 60s, noise 0.004
sensor gauge rain in A every 60s
sensor other street_depth in B every 60s, noise 0.004
operators nam, then lan

at 15:10 tower rises to 0.50 over 20min
at 15:27 nam approves flood in A
at 15:40 tower falls silent
at 10-15 07:30 lan closes flood in A

expect between 15:20 and 15:26 worse warning flood in A
expect between 15:20 and 15:26 a call to nam to approve danger flood in A
expect between 15:27 and 15:28 worse danger flood in A
expect between 10-15 07:30 and 10-15 07:31 over flood in A
and nobody else is called
and nothing else arrives
