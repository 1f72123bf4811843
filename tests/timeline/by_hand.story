story of water that only people have seen
# No sensor stands in B. Nam has it from the ward centre and says how long it is in force; then it ends by itself.

day 2022-10-14
from 15:00 until 19:00
areas A B
sensor tower street_depth in A every 60s, noise 0.004
operators nam, then lan

at 15:30 nam warns of danger flood at chợ Cồn in B until 17:30
at 15:31 nam acknowledges flood in B
at 16:30 nam closes flood in A, and is refused

expect between 15:30 and 15:31 first danger flood in B
expect between 17:30 and 17:31 over flood in B
and nothing else arrives
