story of an exercise that the water interrupts
# Residents hear nothing of an exercise. In A the real thing begins: the exercise of A stops at once, B's goes on.

day 2022-10-14
from 14:00 until 18:00
areas A B
sensor tower-a street_depth in A every 60s, noise 0.004
sensor tower-b street_depth in B every 60s, noise 0.004
operators nam, then lan

at 14:30 nam exercises danger flood at the market in A B until 17:00
at 15:10 tower-a rises to 0.25 over 20min
at 16:00 tower-a falls to 0 over 10min

expect between 14:30 and 14:31 first danger flood in A B to the drill
expect between 15:15 and 15:35 stopped flood in A to the drill
expect between 15:20 and 15:40 worse warning flood in A
expect between 16:30 and 17:10 over flood in A
expect between 17:00 and 17:01 over flood in B to the drill
and nobody else is called
and nothing else arrives
