"""The invented names of the centre. Addresses are of reserved ranges: 555-01xx numbers and example.com."""

# fmt: off
FIRST_NAMES = (
    "Ann", "Ben", "Cora", "Dan", "Ella", "Frank", "Grace", "Hugo", "Iris", "Jack", "Kira", "Leo", "Mona", "Ned",
    "Olga", "Paul", "Quinn", "Rosa", "Sam", "Tess", "Uma", "Vera", "Will", "Zoe",
)
LAST_NAMES = (
    "abbott", "adkins", "alvarez", "baker", "barnes", "bauer", "bishop", "blair", "boyd", "brandt", "carver",
    "chen", "cohen", "conner", "cruz", "daley", "decker", "dorsey", "duran", "eaton", "ellis", "emery",
    "farrow", "fields", "flynn", "foster", "garza", "gibbs", "glenn", "graves", "hanley", "harper", "hauser",
    "hicks", "holt", "ingram", "jarvis", "keane", "keller", "lamb", "larson", "lowell", "marsh", "meyer",
    "miller", "monroe", "nash", "nolan", "oakley", "ortiz", "parker", "pruitt", "quigley", "reyes", "rhodes",
    "sawyer", "shaw", "tate", "tocata", "vance", "walsh", "weaver", "yates", "zeller",
)
CUSTOMER_NAMES = (
    "John Smith", "Maria Lopez", "José Álvarez", "Wei Zhang", "Aisha Khan", "Emily O'Neil", "Zoë Berg",
    "Robert Brown", "Linda Davis", "Priya Nair", "Tom Hughes", "Sofía Peña", "Karen White", "Luke Adams", "Nina Roth",
    "Omar Haddad",
)
# fmt: on
AREA_CODES = ("205", "312", "414", "512", "608", "713", "816", "913")

REGIONS = ("MidWest", "South", "Mountain", "East")
DEPARTMENTS = ("Servicing", "Sales", "Claims", "Support")

VOICE_QUEUES = ("billing", "service", "sales", "retention", "claims", "tech-support")
AMAZON_CHAT_QUEUE = "service-chat"
AMAZON_TASK_QUEUE = "backoffice-tasks"
OUTBOUND_QUEUE = "outbound"
SKILL_QUEUES = {
    "WEBCHAT": "custservice-webchat",
    "SMS": "sms-care",
    "SMS_PINPOINT": "sms-care",
    "SMS_WEBHOOK": "sms-care",
    "SOCIAL_WHATSAPP": "social-care",
    "SOCIAL_FBMESSENGER": "social-care",
    "SOCIAL_TWITTERDM": "social-care",
    "SOCIAL_LINE": "social-care",
    "SOCIAL_OTHER": "social-care",
    "INSTANT_MESSAGE": "helpdesk-im",
    "UC_CALL": "helpdesk-uc",
    "ROUTED_EMAIL": "mail",
    "PREVIEW_DIAL": "preview-renewals",
}
CHAT_TYPES = frozenset(name for name in SKILL_QUEUES if name not in ("UC_CALL", "ROUTED_EMAIL", "PREVIEW_DIAL"))

WORK_CODES = {
    "Voice": (
        "Billing Dispute",
        "Order Status",
        "Cancel Request",
        "Upgrade",
        "Complaint",
        "Réclamation",
        "General Inquiry",
    ),
    "Chat": ("Password Change", "Order Status", "Delivery", "Refund", "General Inquiry"),
    "Email": ("Document Request", "Address Change", "Complaint"),
    "Task": ("Completed", "Referred", "No Action"),
}
WORK_GROUP_OF = {
    "VOICE": "Voice",
    "PREVIEW_DIAL": "Voice",
    "UC_CALL": "Voice",
    "ROUTED_EMAIL": "Email",
    "GENERIC_TASK": "Task",
}

CUSTOMER_LINES = (
    "Hi, can I get my password reset please?",
    "My order has not arrived yet.",
    "Yes, that is right.",
    "One moment, I am looking for the number.",
    "Where do I find the invoice?",
    "Perfect. Thank you!",
    "No that\u2019s it. Thanks.",
    "Can you send it to my e-mail?",
)
AGENT_LINES = (
    "Hi, thanks for waiting. How can I help?",
    "No problem. What is your account number?",
    "I see it here. Give me a moment, please.",
    "That is done. Please try it now.",
    "Is there anything else I can assist with?",
    "I have sent it to you just now.",
    "Thanks for contacting us. Have a great day.",
)
