"""Runs a program on a pseudo-terminal, waits for what it asks and types the answers.

The one argument is JSON: {"program": [...], "steps": [[text to wait for, text to type], ...]}. The
result is printed as JSON: the exit code, all that the screen showed, whether the terminal echoed
when each text had come, and whether it echoes after the end.
"""

import json
import os
import pty
import select
import sys
import termios
import time

PATIENCE = 15


def is_echoing(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def read(terminal, end):
    """More of the screen; an empty text at its end."""
    ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
    if not ready:
        sys.exit('the program does not go on')
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b''


def main():
    asked = json.loads(sys.argv[1])
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(asked['program'][0], asked['program'])
    end = time.monotonic() + PATIENCE
    screen, seen, echo = b'', 0, []
    for prompt, answer in asked['steps']:
        prompt = prompt.encode()
        while (at := screen.find(prompt, seen)) < 0:
            more = read(terminal, end)
            if not more:
                sys.exit(f'{prompt!r} is not in {screen!r}')
            screen += more
        seen = at + len(prompt)
        echo.append(is_echoing(terminal))
        os.write(terminal, answer.encode())
    while more := read(terminal, end):
        screen += more
    _, status = os.waitpid(pid, 0)
    print(json.dumps({
        'code': os.waitstatus_to_exitcode(status),
        'screen': screen.decode(errors='replace'),
        'echo': echo,
        'echo_after': is_echoing(terminal),
    }))


main()
