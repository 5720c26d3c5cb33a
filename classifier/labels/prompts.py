"""Prompts of many kinds with a check for each answer: what the shipped head is trained on.

usage: python3 prompts.py SHARED_DATA > prompts.jsonl

Each line: {"id", "messages", "max_tokens", "kind", "check", "remote"?}. `kind` is the domain that the head learns to name, `check`
says how grade.py judges the local model's answer, `remote` is a recorded score of a large model on the same question where
the source has one (LLMRouter's table, the mean of two large models). Made-up kinds come from the lists below
with a fixed seed; the rest from the data folder: LLMRouter, SVAMP, GSM8K, CLINC150 (origins and licences in
each folder's SOURCES.md there).
"""
import json
import lzma
import random
import sys
from pathlib import Path

SEED = 20261
LARGE = ("llama-3.3-nemotron-super-49b-v1", "llama-3.1-nemotron-51b-instruct")
NAMES = "Anna Ben Carla David Elena Frank Grace Hugo Ines Jonas Katrin Liam Maria Nils Olga Peter Rosa Samir Tina Viktor".split()
CITIES = "Berlin Paris Madrid Rome Vienna Prague Dublin Oslo Lisbon Athens Warsaw Helsinki Brussels Amsterdam Munich Lyon".split()
THINGS = "laptop chair printer keyboard monitor phone lamp desk camera router tablet headset".split()
MONTHS = "January February March April May June July August September October November December".split()
CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "China": "Beijing", "Egypt": "Cairo",
    "Canada": "Ottawa", "Australia": "Canberra", "Brazil": "Brasilia", "Russia": "Moscow", "Greece": "Athens", "Portugal": "Lisbon",
    "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki", "Poland": "Warsaw", "Austria": "Vienna", "Hungary": "Budapest",
    "Ireland": "Dublin", "India": "New Delhi", "Mexico": "Mexico City", "Argentina": "Buenos Aires", "Peru": "Lima", "Chile": "Santiago",
    "Kenya": "Nairobi", "Turkey": "Ankara", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Cuba": "Havana", "Denmark": "Copenhagen",
    "Belgium": "Brussels", "the Netherlands": "Amsterdam", "Switzerland": "Bern", "Ukraine": "Kyiv", "South Korea": "Seoul",
    "Indonesia": "Jakarta", "Morocco": "Rabat", "Colombia": "Bogota", "Iceland": "Reykjavik",
}
FACTS = [
    ("What color is the sky on a clear day?", ["blue"]), ("How many days are in a week?", ["7", "seven"]),
    ("How many months are in a year?", ["12", "twelve"]), ("What is the opposite of hot?", ["cold"]),
    ("Which planet do we live on?", ["earth"]), ("What is frozen water called?", ["ice"]), ("How many legs does a spider have?", ["8", "eight"]),
    ("What is the largest ocean on Earth?", ["pacific"]), ("Who wrote Romeo and Juliet?", ["shakespeare"]),
    ("What gas do plants absorb from the air?", ["carbon dioxide", "co2"]), ("What is the chemical formula of water?", ["h2o", "h₂o"]),
    ("Which animal is known as man's best friend?", ["dog"]), ("How many continents are there?", ["7", "seven"]),
    ("What is the closest star to Earth?", ["sun"]), ("At what temperature in Celsius does water boil?", ["100"]),
    ("Who painted the Mona Lisa?", ["leonardo", "da vinci"]), ("What is the tallest mountain in the world?", ["everest"]),
    ("Which language is spoken in Brazil?", ["portuguese"]), ("What is the currency of Japan?", ["yen"]),
    ("How many minutes are in an hour?", ["60", "sixty"]), ("What do bees make?", ["honey"]), ("Which season comes after winter?", ["spring"]),
    ("What organ pumps blood through the body?", ["heart"]), ("How many sides does a triangle have?", ["3", "three"]),
    ("What is the largest planet in the solar system?", ["jupiter"]), ("Who was the first president of the United States?", ["washington"]),
    ("What is the main language of Spain?", ["spanish"]), ("In which country are the pyramids of Giza?", ["egypt"]),
    ("What do you call a baby cat?", ["kitten"]), ("Which metal is liquid at room temperature?", ["mercury"]),
    ("What is the speed of light in km/s, roughly?", ["300,000", "300000", "299,792", "299792"]), ("Who developed the theory of relativity?", ["einstein"]),
    ("What year did the Second World War end?", ["1945"]), ("What is the smallest prime number?", ["2", "two"]),
    ("Which vitamin do we get from sunlight?", ["vitamin d"]), ("What is the capital of the United States?", ["washington"]),
]
FACT_FRAMES = ["{q}", "{q} Answer in one word.", "Please tell me: {q}", "Quick question. {q}", "Hi, {q} Keep it short."]
GREETINGS = ["Hi", "Hello", "Hey there", "Good morning", "Good evening", "Hello, how are you?", "Hi! Nice to meet you.", "Hey, what's up?",
             "Thanks for your help!", "Thank you so much", "Thanks, that was great.", "Goodbye!", "Bye, have a nice day", "See you later",
             "Good night", "You are very helpful", "How are you doing today?", "Who are you?", "What can you do?", "Can you help me?",
             "Hi, are you there?", "Hello! I have a question.", "Happy birthday to you!", "Greetings!", "Hey assistant", "I appreciate it",
             "Nice talking to you", "Have a good weekend!", "Welcome back", "Good afternoon, assistant"]
FORMAL = ["send me the report now", "i can't come to the meeting tomorrow cause i'm sick", "hey boss, gimme friday off",
          "the delivery was super late and i'm mad", "pls fix the bug asap", "we gotta talk about the budget", "your app sucks, it keeps crashing",
          "i want my money back", "tell the client we're late", "nobody told me about the change"]
REWRITE_FRAMES = ["Rewrite this sentence politely: {t}", "Make this sound more professional: {t}", "Rephrase: {t}", "Rewrite in formal English: {t}"]
SUMMARY_TOPICS = [
    ("The new library opened on Monday. It has three floors, a cafe and a large reading room. More than five hundred people visited on the first day.", ["library"]),
    ("Heavy rain closed the main road to the airport on Tuesday. Several flights were delayed. The road is expected to open again on Wednesday.", ["rain", "road", "flight"]),
    ("The company sold more laptops than ever last quarter. Profits rose by ten percent. The board plans to hire fifty people next year.", ["profit", "laptop", "company"]),
    ("Scientists found that walking thirty minutes a day improves sleep. The study followed two hundred adults for a year.", ["walk", "sleep"]),
    ("The school garden grows tomatoes, beans and pumpkins. Pupils water it every day. The vegetables are used in the kitchen.", ["garden", "vegetable"]),
    ("The museum shows paintings by local artists until March. Entry is free on Sundays. A guided tour starts every hour.", ["museum", "painting"]),
]
SENTIMENT = [("I love this phone, it works perfectly.", "positive"), ("The food was cold and the waiter was rude.", "negative"),
             ("Great service, I will come again!", "positive"), ("It broke after two days. Waste of money.", "negative"),
             ("Best concert I have ever seen.", "positive"), ("The room was dirty and noisy.", "negative"),
             ("Fast delivery and friendly support.", "positive"), ("I am very disappointed with the quality.", "negative"),
             ("What a wonderful day at the beach!", "positive"), ("Terrible app, it crashes all the time.", "negative"),
             ("The staff helped us with a smile.", "positive"), ("I waited three hours and nobody came.", "negative")]
OPEN_REMOTE = ["Write a detailed business plan for {x}.", "Prove that the square root of {p} is irrational.", "Design a database schema for {x} with indexes and explain the trade-offs.",
               "Compare the economic policies of {a} and {b} since 1990.", "Refactor a multithreaded {l} program to avoid deadlocks and explain each step.",
               "Write a legal analysis of data protection duties when running {x}.", "Derive the gradient of the loss of a {p}-layer neural network by hand.",
               "Plan a three-week trip through {a} and {b} with a budget and daily schedule.", "Explain step by step how to set up a Kubernetes cluster for {x}.",
               "Write a {l} implementation of a red-black tree with tests."]
LIVE = ["What is the weather in {c} right now?", "What time is it in {c}?", "What is the stock price of {o} today?", "Book a table for {n} in {c} tonight.",
        "Send an e-mail to {m}.", "Turn off the lights in the kitchen.", "Play some jazz music.", "What happened in the news today?", "Call {m} on the phone.",
        "Show me a picture of {c}.", "Transfer {n} euros to {m}.", "What is my account balance?", "Where is my order number {n}?", "Set an alarm for {n} o'clock."]

OPENERS = ["Hi", "Hello", "Hey", "Good morning", "Good afternoon", "Good evening", "Hi there", "Hello there", "Hey there", "Dear assistant"]
FOLLOWS = ["", "how are you?", "how is it going?", "how are you today?", "nice to meet you.", "I hope you are well.", "it's me, {n}.", "my name is {n}.",
           "are you there?", "can you hear me?", "I have a question for you.", "I need some help.", "what can you do for me?", "who are you?", "I'm back.",
           "long time no see!", "what's new?", "I'm new here.", "glad you are here.", "happy {d}!"]
THANKS = ["Thanks{x}!", "Thank you{x}.", "Many thanks{x}!", "Thank you very much{x}!", "Thanks a lot{x}.", "Great, thanks{x}!", "Perfect, thank you{x}.", "Okay, thank you{x}.",
          "That helped, thanks{x}!", "Awesome, thanks{x}!", "Bye{x}!", "Goodbye{x}.", "See you tomorrow{x}!", "Good night{x}!", "Have a nice evening{x}!", "Take care{x}!",
          "Talk to you later{x}.", "Until next time{x}!", "You did well{x}.", "That's all for today{x}."]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NOTES = [
    ("Invoice {k}\nCustomer: {n} {m}\nItem: {t}\nTotal: {p} EUR\nDue: {d} {o}", {"the invoice number": "{k}", "the item": "{t}", "the total": "{p}", "the customer's first name": "{n}"}),
    ("Dear team, the meeting with {n} from {c} is on {w} at {h}:30 in room {k}. Please bring the {t}.", {"the room": "{k}", "the weekday": "{w}", "the city": "{c}", "the name of the guest": "{n}"}),
    ("Ticket #{k}: {n} in {c} reports that the {t} does not start since {w}.", {"the ticket number": "{k}", "the device": "{t}", "the city": "{c}", "the name of the person": "{n}"}),
    ("{n} lives in {c} and works as a nurse. Her sister {m} moved to another town in {o}.", {"the city": "{c}", "the month": "{o}", "the name of the sister": "{m}"}),
    ("name: {n}\ncity: {c}\nphone: 555-0{k}\nproduct: {t}", {"the phone number": "555-0{k}", "the city": "{c}", "the product": "{t}", "the name": "{n}"}),
    ("The parcel with the {t} left {c} on {d} {o} and costs {p} euros.", {"the city": "{c}", "the price": "{p}", "the month": "{o}", "the product": "{t}"}),
]
NOTE_FRAMES = ["{t}\n\nWhat is {w}?", "Read this and tell me {w}:\n{t}", "Extract {w} from this text: {t}", "Give only {w}.\n{t}"]


def read_lines(path):
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Prompts:
    def __init__(self):
        self.random = random.Random(SEED)
        self.seen = set()
        self.lines = []

    def add(self, kind, text, check, max_tokens=48, remote=None):
        if text in self.seen:
            return
        self.seen.add(text)
        line = {"id": len(self.lines), "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens, "kind": kind, "check": check}
        if remote is not None:
            line["remote"] = remote
        self.lines.append(line)

    def made_up(self):
        r = self.random
        for greeting in GREETINGS:
            for variant in (greeting, greeting.lower(), greeting + " :)", greeting.rstrip("!.?") + ", friend!"):
                self.add("greeting", variant, {"type": "chat"}, 40)
        for question, answers in FACTS:
            for frame in FACT_FRAMES:
                self.add("facts", frame.format(q=question), {"type": "contains", "any": answers})
        for country, capital in CAPITALS.items():
            for frame in ("What is the capital of {c}?", "Name the capital city of {c}.", "capital of {c}?", "Which city is the capital of {c}? One word."):
                self.add("facts", frame.format(c=country), {"type": "contains", "any": [capital.lower()]})
            self.add("facts", f"{capital} is the capital of which country?", {"type": "contains", "any": [country.lower().removeprefix("the ")]})
        for digits, n in ((1, 140), (2, 160), (3, 80)):
            for _ in range(n):
                a, b = r.randrange(10 ** (digits - 1), 10**digits), r.randrange(10 ** (digits - 1), 10**digits)
                sign, value = r.choice((("+", a + b), ("-", a - b), ("*", a * b)))
                frame = r.choice(("What is {a} {s} {b}?", "Calculate {a} {s} {b}.", "{a} {s} {b} =", "Compute: {a} {s} {b}"))
                self.add("arithmetic", frame.format(a=a, b=b, s=sign), {"type": "number", "value": value})
        for _ in range(160):
            name, city, thing = r.choice(NAMES), r.choice(CITIES), r.choice(THINGS)
            mail = f"{name.lower()}.{r.choice(NAMES).lower()}@example.com"
            day, month, price = r.randrange(1, 29), r.choice(MONTHS), r.randrange(20, 900)
            text = f"{name} from {city} ordered a {thing} for {price} euros on {day} {month}. Contact: {mail}."
            what, answer = r.choice((("the e-mail address", mail), ("the name of the city", city.lower()), ("the price", str(price)),
                                     ("the product", thing), ("the name of the person", name.lower())))
            frame = r.choice(("Extract {w} from this text: {t}", "{t}\n\nWhat is {w}?", "Read the text and give only {w}.\n{t}"))
            self.add("extraction", frame.format(w=what, t=text), {"type": "contains", "any": [answer]})
        for text in FORMAL:
            for frame in REWRITE_FRAMES:
                self.add("rewriting", frame.format(t=text), {"type": "rewrite", "of": text}, 64)
        for text, words in SUMMARY_TOPICS:
            for frame in ("Summarize in one sentence: {t}", "{t}\n\nGive a short summary.", "What is this text about? {t}", "TL;DR: {t}"):
                self.add("rewriting", frame.format(t=text), {"type": "summary", "of": text, "any": words}, 64)
        for text, label in SENTIMENT:
            for frame in ("Is this review positive or negative? {t}", "Classify the sentiment as positive or negative: {t}", "{t}\nSentiment (positive/negative):"):
                other = "negative" if label == "positive" else "positive"
                self.add("classification", frame.format(t=text), {"type": "contains", "any": [label], "not": [other]}, 24)
        for word in "apple house water friend summer yellow table green mountain paper window garden".split():
            self.add("rewriting", f'Write the word "{word}" in capital letters.', {"type": "exact_contains", "any": [word.upper()]}, 24)
            self.add("reasoning", f'How many letters are in the word "{word}"?', {"type": "number", "value": len(word)}, 32)
            self.add("reasoning", f'Spell the word "{word}" backwards.', {"type": "contains", "any": [word[::-1]]}, 32)
        for frame in OPEN_REMOTE:
            for _ in range(14):
                text = frame.format(x=r.choice(("an online bookshop", "a hospital chatbot", "a car rental", "a food delivery service", "a bank")),
                                    p=r.choice((2, 3, 5, 7, 11)), a=r.choice(("France", "Japan", "Brazil")), b=r.choice(("Germany", "India", "Canada")),
                                    l=r.choice(("C", "Rust", "Java", "Go")))
                self.add("code" if "program" in text or "implementation" in text else "planning", text, {"type": "beyond"}, 1)
        for frame in LIVE:
            for _ in range(12):
                text = frame.format(c=r.choice(CITIES), o=r.choice(("Siemens", "Apple", "Nestle")), n=r.randrange(2, 90), m=r.choice(NAMES))
                self.add("oos", text, {"type": "beyond"}, 1)

    def everyday(self):
        """What is asked every day and is easy, in many words: enough lines to show how seldom the local model fails there."""
        r = random.Random(SEED + 1)
        for opener in OPENERS:
            for follow in FOLLOWS:
                text = (opener + ", " + follow if follow else opener + r.choice("!.,")).format(n=r.choice(NAMES), d=r.choice(DAYS))
                for variant in (text, r.choice((text.lower(), text.rstrip("?!."), text.upper(), text + "!", text + " :-)"))):
                    self.add("greeting", variant, {"type": "chat"}, 40)
        for thanks in THANKS:
            for to in ("", ", " + r.choice(NAMES), ", dear assistant", " for everything", ", my friend", " again", " so far", ", that was quick"):
                text = thanks.format(x=to)
                self.add("greeting", r.choice((text, text, text.lower(), text.rstrip("!."))), {"type": "chat"}, 40)
        for note, whats in NOTES:
            for _ in range(100):
                values = {"n": r.choice(NAMES), "m": r.choice(NAMES), "c": r.choice(CITIES), "t": r.choice(THINGS), "w": r.choice(DAYS), "o": r.choice(MONTHS),
                          "d": r.randrange(1, 29), "h": r.randrange(8, 18), "p": r.randrange(20, 900), "k": r.randrange(100, 1000)}
                what, answer = r.choice(sorted(whats.items()))
                text = r.choice(NOTE_FRAMES).format(t=note.format(**values), w=what)
                self.add("extraction", text, {"type": "contains", "any": [answer.format(**values).lower()]})

    def from_data(self, data):
        strong = {}
        for row in read_lines(data / "llmrouter/dcrouter_scores_train.jsonl.xz"):
            scores = [row["scores"][name] for name in LARGE if name in row["scores"]]
            if scores:
                strong[row["question"]] = sum(scores) / len(scores)
        kinds = {"natural_qa": "facts", "trivia_qa": "facts", "mmlu": "exam", "arc_challenge": "exam", "openbook_qa": "exam",
                 "commonsense_qa": "reasoning", "gsm8k": "math", "agentverse-mgsm": "math", "mbpp": "code", "human_eval": "code",
                 "agentverse-logicgrid": "reasoning", "commongen": "writing"}
        for row in read_lines(data / "llmrouter/default_query_train.jsonl.xz"):
            kind, text, truth = kinds[row["task_name"]], row["query"], row["ground_truth"]
            remote = strong.get(row["query"])
            if row["metric"] == "em_mc":
                choices = row["choices"] if not isinstance(row["choices"], str) else json.loads(row["choices"].replace("'", '"')) if row["choices"].count('"') == 0 else None
                names = choices.get("text") if isinstance(choices, dict) else choices
                if not names:
                    continue
                listed = "\n".join(f"{chr(65 + i)}. {name}" for i, name in enumerate(names))
                self.add(kind, f"{text}\n{listed}\nAnswer with the letter.", {"type": "letter", "value": truth, "n": len(names)}, 12, remote)
            elif row["metric"] == "f1_score":
                self.add(kind, text, {"type": "contains", "any": [truth.lower()]}, 40, remote)
            elif row["metric"] in ("GSM8K", "MATH"):
                value = truth.split("####")[-1].strip().replace(",", "").lstrip("$")
                try:
                    self.add(kind, text, {"type": "number", "value": float(value)}, 160, remote)
                except ValueError:
                    pass
            elif row["metric"] == "code_eval":
                self.add(kind, text, {"type": "beyond"}, 1, remote)
            else:
                self.add(kind, "Write a sentence with these words: " + text, {"type": "words", "all": [w.strip() for w in text.split(",")]}, 64, remote)
        with lzma.open(data / "svamp/SVAMP.json.xz", "rt", encoding="utf-8") as file:
            for row in json.load(file)[:300]:
                self.add("math", f"{row['Body'].rstrip('.')}. {row['Question']}", {"type": "number", "value": float(row["Answer"])}, 96)
        with lzma.open(data / "clinc150/data_full_train_val.json.xz", "rt", encoding="utf-8") as file:
            clinc = json.load(file)
        for text, _ in clinc["oos_train"] + clinc["oos_val"]:
            self.add("oos", text, {"type": "beyond"}, 1)


def main():
    prompts = Prompts()
    prompts.made_up()
    prompts.from_data(Path(sys.argv[1]) / "routing")
    prompts.everyday()
    for line in prompts.lines:
        print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
