story of a planned outage that runs past its announced end
# Announced from 14:00 to 16:00: nobody is told. What is still out then is a warning as any other.

day 2022-10-14
from 13:00 until 19:00
areas A
sensor tx-1 power in A every 5min
sensor tx-2 power in A every 5min, 300 m away
operators nam, then lan

at 13:00 tx-* reads 1
at 13:30 nam silences tx-1 until 16:00
at 13:30 nam silences tx-2 until 16:00
at 14:00 tx-* reads 0
at 17:00 tx-* reads 1

expect between 16:00 and 16:10 first warning power in A
expect between 17:15 and 17:30 over power in A
and nobody else is called
and nothing else arrives
