story of a river that brings yesterday's rain of the mountains to a dry town
# No drop falls here. Ái Nghĩa's water floods others: the station speaks for three areas, its gauge stands in K alone. It
# is a station of the hydromet office, so its good readings confirm themselves; nam is called to see it, not to approve.

day 2025-10-27
from 20:00 until 10-29 12:00
areas K B C D
sensor ai-nghia water_level in K every 10min, station ai_nghia, affects K B C, reference, noise 0.01
sensor gauge-k rain in K every 60s
sensor gauge-d rain in D every 60s

at 20:00 ai-nghia reads 6.0
at 21:00 ai-nghia rises to 9.4 over 10h           # I 6.5 at 22:28, II 8.0 at 02:53, III 9.0 at 05:49
at 10-28 05:58 nam acknowledges flood in K B C
at 10-28 12:00 ai-nghia falls to 6.0 over 12h     # under II at 16:57 less 10 cm, under I at 22:35 less 10 cm

expect between 10-28 02:30 and 10-28 03:20 worse warning flood in K B C
expect between 10-28 05:30 and 10-28 06:20 worse danger flood in K B C
expect between 10-28 05:30 and 10-28 06:20 a call to nam to acknowledge danger flood in K B C
expect between 10-28 19:00 and 10-28 20:40 eased advisory flood in K B C
expect between 10-29 04:30 and 10-29 06:10 over flood in K B C
and nobody else is called
and nothing else arrives
