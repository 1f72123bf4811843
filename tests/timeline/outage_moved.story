story of a planned outage that is moved, and then called off
# Each change is told once, to those who heard; at the hours that were announced first nobody hears anything.

day 2022-10-14
from 07:00 until 10-15 13:30
areas A B C
sensor tx-A power in A every 30min, affects A B
sensor tx-C power in C every 30min
operators nam, then lan

at 07:00 tx-* reads 1
at 08:00 nam plans an outage of tx-A from 10-15 06:00 until 10-15 09:00
at 12:00 nam moves the outage, from 10-15 14:00 until 10-15 17:00
at 10-15 10:00 lan calls the outage off
at 10-15 11:00 lan calls the outage off
at 10-15 11:30 nam moves the outage, from 10-15 14:00 until 10-15 17:00, and is refused

expect between 08:00 and 08:01 planned advisory power in A, B
expect between 12:00 and 12:01 moved advisory power in A, B
expect between 10-15 10:00 and 10-15 10:01 called_off power in A, B
and nobody else is called
and nothing else arrives
