"""Do a part of the work as another user, and come back."""

import json
import os

from . import core


def call(user, function, *arguments, **fields):
    """Return what a function returns that runs as another user; its failure is raised here."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.close(reader)
            core.become(user)
            answer, code = {"value": function(*arguments, **fields)}, 0
        except core.Failure as failure:
            answer = {"failure": str(failure), "code": failure.code, "words": failure.words}
        # Whatever it is, the parent has to hear of it.
        except BaseException as error:
            answer = {"failure": f"{type(error).__name__}: {error}", "code": 1}
        try:
            with os.fdopen(writer, "w", encoding="utf-8") as pipe:
                json.dump(answer, pipe)
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    answer = json.loads(text or '{"failure": "a part of the work was killed", "code": 1}')
    if "failure" in answer:
        raise core.Failure(answer["failure"], answer["code"], answer.get("words", ""))
    return answer["value"]
