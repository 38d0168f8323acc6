"""Every sentence of the page, by language; the browser's language chooses, English stands in."""

ENGLISH = {
    "title": "Speech emotion",
    "heading": "# How does your voice sound?",
    "introduction": (
        "Say a sentence. A small neural network listens to **how** you say it, not to what you say, "
        "and names the emotion that it hears. It learned from actors; it reads no minds."
    ),
    "recording": "Recording",
    "examples": "No microphone? Take a synthetic voice",
    "example_even": "even",
    "example_sharp": "sharp",
    "example_hurried": "hurried",
    "example_turning": "turning halfway",
    "about_heading": "What does the answer mean?",
    "about": (
        "The network learned from actors who were asked to speak in a given emotion. So the answer is what your "
        "voice resembles among theirs. It is not what you feel, and nobody should be judged by it: people express "
        "themselves in more ways than actors in a studio.\n\n"
        "The percentages say how likely the network holds each emotion to be. When two of them come close, "
        "it says that it is unsure."
    ),
    "privacy": (
        "Your recording is analysed on this server and nowhere else. It is deleted within an hour, "
        "is used for nothing else, and nothing on this page follows you."
    ),
    # The microphone
    "record": "Record",
    "stop": "Stop",
    "idle": "Press and speak",
    "hint": "Five seconds are enough",
    "asking": "May this page listen? Your browser asks you.",
    "listening": "Listening… press when you are done",
    "sending": "One moment…",
    "again": "Press to speak again",
    "limit": "That was {seconds} seconds, as long as a recording can be here. Longer ones can be uploaded.",
    "denied": (
        "The microphone is blocked for this page. Allow it in the browser's address bar and press again, "
        "or upload a recording."
    ),
    "missing": "No microphone was found. Connect one and press again, or upload a recording.",
    "busy": "The microphone cannot be used: another program may be holding it. Close that one and press again.",
    "insecure": "A browser lends its microphone to https pages only. Open this page by https, or upload a recording.",
    "unsent": "The recording did not reach the server. Check the connection and press again.",
    # The answer
    "empty": "Your answer appears here",
    "empty_detail": "These are the emotions it can tell apart.",
    "thinking": "Listening to your recording…",
    "sounds": "Sounds {first}",
    "sounds_detail": "{percent} likely, from {seconds} of sound",
    "unsure": "Unsure between {first} and {second}",
    "unsure_detail": "{percent} {first}, {second_percent} {second}",
    "no_speech": "No speech heard",
    "no_speech_detail": "There may be silence, noise or music, but no voice that could be judged.",
    "problem": "That did not work",
    "model_missing": "The model could not be loaded, so nothing can be answered now. The server's log says why.",
    "unexpected": "Something went wrong on the server. Please try another recording.",
    "too_short": "Very short. Speak for two seconds or longer, and the answer gets more reliable.",
    "too_quiet": "Very quiet. Come closer to the microphone, or speak up.",
    "clipped": "Too loud for the microphone: parts are cut off. Move back a little.",
    "seconds": "{number} seconds",
    # The timeline
    "timeline": "Moment by moment",
    "timeline_description": "Emotions over time: {runs}.",
    "timeline_run": "{emotion} from {start} to {end}",
    "timeline_note": "Above, the voice. Below, how likely each emotion is at that moment.",
    "timeline_table": "Show the figures",
    "time": "Time",
    "emotion": "Emotion",
    "probability": "Probability",
    "no_voice": "no voice",
    # The emotions
    "angry": "angry",
    "calm": "calm",
    "disgust": "disgusted",
    "fearful": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "surprised": "surprised",
}

TEXTS = {"en": ENGLISH}
