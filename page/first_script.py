"""Puts a script before all others of the page: what gradio takes for the head comes after its own, and too late."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from page.sources import source


HEAD = b"<head>"


class FirstScript:
    """ASGI middleware by which the page chooses its language before gradio does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.head = HEAD + f"<script>{source('chosen_language.js')}</script>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the page itself, which comes in one piece, gets the script."""
        if scope["type"] != "http" or scope["path"] != "/":
            return await self.app(scope, receive, send)
        started: list[Message] = []

        async def send_with_script(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
                return
            if started:
                start = started.pop()
                message["body"] = message.get("body", b"").replace(HEAD, self.head, 1)
                headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
                length = (b"content-length", str(len(message["body"])).encode())
                await send({**start, "headers": headers if message.get("more_body") else [*headers, length]})
            await send(message)

        return await self.app(scope, receive, send_with_script)
