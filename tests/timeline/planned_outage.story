story of a planned outage that runs past its announced end
# Announced for 14:00 to 16:00: told before. While it is on nobody is told; what is still out then is a warning.

day 2022-10-14
from 11:00 until 19:00
areas A B
sensor tx-1 power in A every 5min
sensor tx-2 power in A every 5min, 300 m away
sensor tx-3 power in B every 5min
operators nam, then lan

at 11:00 tx-* reads 1
at 11:30 nam plans an outage in A from 14:00 until 16:00
at 14:00 tx-1 reads 0
at 14:00 tx-2 reads 0
at 17:00 tx-* reads 1

expect between 11:30 and 11:31 planned advisory power in A
expect between 13:00 and 13:01 planned advisory power in A
expect between 16:00 and 16:10 first warning power in A
expect between 17:15 and 17:30 over power in A
and nobody else is called
and nothing else arrives
