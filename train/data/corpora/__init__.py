"""The known corpora of emotional speech, one module each."""
