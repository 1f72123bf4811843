story of an announced outage that overran, as PC Da Nang's of 15 December 2019 did
# That it ran past its announced end, and that the company apologised, is known; the hours and places are ours.

day 2019-12-14
from 06:00 until 12-15 18:00
areas A B C
sensor tx-1 power in A every 5min
sensor tx-2 power in A every 5min, 300 m away
sensor tx-3 power in C every 5min
operators nam, then lan
resident mai lives in A, B
resident tu lives in A and sleeps at night
resident hoa lives in C

at 06:00 tx-* reads 1
at 06:30 nam plans an outage in A, B from 12-15 06:00 until 12-15 14:00
at 12-15 06:00 tx-1 reads 0
at 12-15 06:00 tx-2 reads 0
at 12-15 16:10 tx-* reads 1

# One message for both of her wards; who sleeps hears it in the morning, and of the reminder nothing.
expect between 06:30 and 06:31 planned advisory power in A, B to mai
expect between 07:00 and 07:01 planned advisory power in A to tu
expect between 12-15 05:00 and 12-15 05:01 planned advisory power in A, B to mai
expect between 12-15 14:00 and 12-15 14:10 first warning power in A to mai
expect between 12-15 14:00 and 12-15 14:10 first warning power in A to tu
expect between 12-15 16:25 and 12-15 16:40 over power in A to mai
expect between 12-15 16:25 and 12-15 16:40 over power in A to tu
and nobody else is called
and nothing else arrives
